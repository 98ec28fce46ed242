"""Revenue forecast, response curves and budget scenarios: reads tables, calls marketing_ai.ml."""

from marketing_ai.ml import revenue
from marketing_ai.ml.settings import ForecastSettings, read_settings


def model(dbt, session):
    """One tidy table, one commit; the marts select their rows from it."""
    values = {
        "as_of_date": dbt.config.meta_get("as_of_date"),
        "horizon_days": dbt.config.meta_get("horizon_days"),
        "train_weeks": dbt.config.meta_get("train_weeks"),
        "backtest_origins": dbt.config.meta_get("backtest_origins"),
        "refit_every": dbt.config.meta_get("refit_every"),
        "trees": dbt.config.meta_get("trees"),
        "depth": dbt.config.meta_get("depth"),
        "seed": dbt.config.meta_get("seed"),
        "prior_elasticity": dbt.config.meta_get("prior_elasticity"),
        "gate_gain": dbt.config.meta_get("gate_gain"),
        "max_change": dbt.config.meta_get("max_change"),
        "max_rows": dbt.config.meta_get("max_rows"),
        "multipliers": dbt.config.meta_get("multipliers"),
    }
    settings = read_settings(ForecastSettings, values)
    return revenue.forecast(
        session,
        dbt.ref("marketing_kpi"),
        settings,
        plan=dbt.ref("budget_plan"),
        lift=dbt.ref("lift_tests"),
    )
