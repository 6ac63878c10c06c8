# One image for the API, the worker, beat and the jobs; the command decides. It needs no root and writes to /tmp only.
# Stays below 1 GB: some 130 MB of Debian and Python, the rest are packages (tests/deploy/test_image.py adds up).
FROM python:3.11-slim-bookworm AS packages

COPY requirements.txt constraints.txt /build/
# Wheels only: nothing is compiled here. Tests and headers of packages are of no use in the image.
RUN python -m pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: \
        --prefix=/packages -r /build/requirements.txt \
    && find /packages -type d \( -name tests -o -path '*/pyarrow/include' -o -path '*/phonenumbers/geodata' \) \
        -prune -exec rm -rf {} +


FROM python:3.11-slim-bookworm AS program

ENV PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/kernels \
    NUMBA_CPU_NAME=generic
COPY --from=packages /packages /usr/local
COPY LICENSE /app/
COPY core /app/core
COPY jobs /app/jobs
COPY api /app/api
COPY notifier /app/notifier
COPY sql /app/sql
COPY docker/healthy.py /app/docker/
WORKDIR /app
# Compiled for any CPU of the architecture, so that no container ever compiles. The stamps of bytecode are its source's
# hash: times of files do not survive every registry.
RUN python -m jobs warm \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /app \
    && chmod -R a+rX /app /opt/kernels


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="transaction-summary-service" \
      org.opencontainers.image.licenses="MIT"
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/opt/kernels \
    NUMBA_CPU_NAME=generic \
    API_BIND=0.0.0.0:8000 \
    QUARANTINE_DIR=/quarantine
RUN groupadd --gid 10001 summaries \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin summaries \
    && install -d -m 0700 -o 10001 -g 10001 /quarantine
COPY --from=packages /packages /usr/local
COPY --from=program /opt/kernels /opt/kernels
COPY --from=program /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-IS", "docker/healthy.py", "http://127.0.0.1:8000/healthz"]
CMD ["gunicorn", "-c", "api/gunicorn_conf.py", "api:get_app()"]
