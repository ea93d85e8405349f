"""What other monitoring knows of the nodes: alerts that an Alertmanager sends, metrics that a Prometheus holds."""

from noout.adapters.alerts.naming import Naming
from noout.adapters.alerts.prometheus import PrometheusExporters
from noout.adapters.alerts.webhook import BODY_BYTES_MAX, notification

__all__ = ["BODY_BYTES_MAX", "Naming", "PrometheusExporters", "notification"]
