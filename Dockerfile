# One image for the API, the worker, beat and the jobs, which differ by their command. It runs without root and writes
# only to /tmp. About 130 MB of Debian and Python, and at most 600 MB of packages (tests/image measures them).
# To pass settings of pip to the build, such as an index: docker build --secret id=pip,src=pip.conf, as `make image` does.
FROM python:3.11-slim-bookworm AS installed

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
COPY pins/requirements.txt /build/
# Wheels only: nothing is compiled here, and all packages have the hashes with which they were tested.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=certificates \
    python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
        --only-binary=:all: --require-hashes --requirement /build/requirements.txt


FROM installed AS program

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/kernels \
    NUMBA_CPU_NAME=generic
COPY LICENSE /app/
COPY core /app/core
COPY jobs /app/jobs
COPY api /app/api
COPY notifier /app/notifier
COPY sql /app/sql
COPY docker/healthy.py /app/docker/
WORKDIR /app
# Compile for all CPUs of the architecture, so that containers never compile. Bytecode is validated by the hash of its
# source, because not every registry preserves file times.
RUN python -m jobs warm \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /app \
    && chmod -R a+rX /app /opt/kernels


FROM installed AS packages

# Remove what the image does not need: build tools, tests, headers, the network protocol of Arrow, and large debug
# symbols.
RUN /opt/venv/bin/python -m pip uninstall --yes setuptools pip \
    && find /opt/venv -depth \
        \( -name tests -o -path '*/pyarrow/include' -o -path '*/phonenumbers/geodata' \
            -o -path '*/pyarrow/*_flight*' \) -exec rm -rf {} + \
    && find /opt/venv/lib -type f -name '*.so*' \
        \( -path '*/llvmlite/*' -o -path '*/_polars_runtime_32/*' -o -path '*/pyarrow/*' -o -path '*/uvloop/*' \) \
        -exec strip --strip-unneeded {} + \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib


FROM packages AS parts

COPY pins/requirements-image.txt /build/
# The list of all packages in the image (SBOM), in the format of CycloneDX.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=certificates \
    python -m venv /opt/listing \
    && /opt/listing/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
        --only-binary=:all: --require-hashes --requirement /build/requirements-image.txt \
    && /opt/listing/bin/cyclonedx-py environment --output-reproducible --output-file /sbom.cdx.json \
        /opt/venv/bin/python


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="transaction-summary-service" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/opt/kernels \
    NUMBA_CPU_NAME=generic \
    API_BIND=0.0.0.0:8000 \
    QUARANTINE_DIR=/quarantine
RUN groupadd --gid 10001 summaries \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin summaries \
    && install -d -m 0700 -o 10001 -g 10001 /quarantine \
    && rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/bin/pip*
COPY --from=packages /opt/venv /opt/venv
COPY --from=parts /sbom.cdx.json /opt/sbom.cdx.json
COPY --from=program /opt/kernels /opt/kernels
COPY --from=program /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-IS", "docker/healthy.py", "http://127.0.0.1:8000/healthz"]
CMD ["gunicorn", "-c", "api/gunicorn_conf.py", "api:get_app()"]
