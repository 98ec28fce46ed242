"""Which Delta version of each table is the tested one: the last model of a build."""

from datetime import UTC, datetime


def model(dbt, session):
    """Return one row per published table; dbt comes here only after every test upstream passed."""
    tables = {
        "budget_reallocation": dbt.ref("budget_reallocation"),
        "budget_scenarios": dbt.ref("budget_scenarios"),
        "campaign_segments": dbt.ref("campaign_segments"),
        "feature_importance": dbt.ref("feature_importance"),
        "forecast_accuracy": dbt.ref("forecast_accuracy"),
        "marketing_kpi": dbt.ref("marketing_kpi"),
        "marketing_kpi_campaign": dbt.ref("marketing_kpi_campaign"),
        "marketing_kpi_channel": dbt.ref("marketing_kpi_channel"),
        "marketing_kpi_channel_daily": dbt.ref("marketing_kpi_channel_daily"),
        "marketing_kpi_monthly": dbt.ref("marketing_kpi_monthly"),
        "marketing_loads": dbt.ref("marketing_loads"),
        "marketing_rejects": dbt.ref("marketing_rejects"),
        "model_runs": dbt.ref("model_runs"),
        "response_curves": dbt.ref("response_curves"),
        "revenue_forecast": dbt.ref("revenue_forecast"),
        "segment_profiles": dbt.ref("segment_profiles"),
        "segment_quality": dbt.ref("segment_quality"),
    }
    # dbt writes the text 'None' where the target has no catalog.
    catalog = "" if dbt.this.database in (None, "", "None") else f"{dbt.this.database}."
    schema = f"{catalog}{dbt.this.schema}"
    # Upstream of marketing_kpi by either of its two models, so it has no ref of one name.
    tables["marketing_clean"] = session.table(f"{schema}.marketing_clean")

    now = datetime.now(UTC)
    rows = []
    for name, frame in sorted(tables.items()):
        latest = session.sql(f"describe history {schema}.{name} limit 1").collect()[0]
        rows.append((name, int(latest["version"]), frame.count(), latest["timestamp"], now))
    return session.createDataFrame(
        rows,
        "table_name string, delta_version bigint, row_count bigint, "
        "written_at timestamp, published_at timestamp",
    ).coalesce(1)
