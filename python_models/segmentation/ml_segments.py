"""Performance segments of campaigns: reads marketing_kpi, calls marketing_ai.ml."""

from marketing_ai.ml import segments
from marketing_ai.ml.settings import SegmentSettings, read_settings


def model(dbt, session):
    """One tidy table, one commit; the marts select their rows from it."""
    values = {
        "as_of_date": dbt.config.meta_get("as_of_date"),
        "window_days": dbt.config.meta_get("window_days"),
        "min_active_days": dbt.config.meta_get("min_active_days"),
        "min_campaigns": dbt.config.meta_get("min_campaigns"),
        "k_min": dbt.config.meta_get("k_min"),
        "k_max": dbt.config.meta_get("k_max"),
        "seed": dbt.config.meta_get("seed"),
        "restarts": dbt.config.meta_get("restarts"),
        "resamples": dbt.config.meta_get("resamples"),
        "target_roas": dbt.config.meta_get("target_roas"),
    }
    settings = read_settings(SegmentSettings, values)
    return segments.segment(session, dbt.ref("marketing_kpi"), settings)
