"""Moments and lengths of time as the watch's sentences have them."""

from __future__ import annotations

from datetime import datetime, timedelta


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} on {at.day} {at:%B}"


def span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 60:
        return f"{max(1, minutes)} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 48 * 60 else f"{minutes // 1440} days"
