"""A Django REST framework view over the same rows: a model, a serializer, a generic list view.

Everything that costs time and is not needed is off: no debugging, middleware, sessions, authentication,
throttling or pagination; connections to the database are kept.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

settings.configure(
    DEBUG=False,
    SECRET_KEY=os.urandom(16).hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=[],
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BENCH_DATABASE"],
            "CONN_MAX_AGE": None,
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

# Imported here, because they need the settings.
from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import generics, serializers  # noqa: E402


class SummaryTransaction(models.Model):  # type: ignore[misc]
    """One summary; Django wants a primary key, and SQLite has one in every table."""

    rowid = models.IntegerField(primary_key=True)
    mode = models.TextField()
    key = models.TextField()
    merchant_id = models.TextField(null=True)
    amount = models.BigIntegerField()
    count = models.BigIntegerField()
    period_start = models.BigIntegerField()
    period_end = models.BigIntegerField()

    class Meta:
        """The table that `core.stores.sqlite` publishes."""

        app_label = "bench"
        db_table = "summary_transaction"
        managed = False


class AmountSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A period with its sum."""

    value = serializers.IntegerField(source="amount")

    class Meta:
        """The fields of the response."""

        model = SummaryTransaction
        fields = ("key", "value")


class CountSerializer(AmountSerializer):
    """A period with its number of transactions."""

    value = serializers.IntegerField(source="count")


class SummaryView(generics.ListAPIView):  # type: ignore[misc]
    """A series, ascending by key."""

    serializers_by_type = {"amount": AmountSerializer, "count": CountSerializer}  # noqa: RUF012

    def get_serializer_class(self) -> type[AmountSerializer]:
        """Which column is the value."""
        return self.serializers_by_type[self.request.query_params["type"]]

    def get_queryset(self) -> models.QuerySet[SummaryTransaction]:
        """The requested rows."""
        asked = self.request.query_params
        rows = SummaryTransaction.objects.filter(mode=asked["mode"], merchant_id=asked["merchant_id"])
        return rows.order_by("key")


urlpatterns = [path("api/transactions/summary", SummaryView.as_view())]


def get_app() -> WSGIHandler:
    """The application, as gunicorn loads it."""
    return WSGIHandler()
