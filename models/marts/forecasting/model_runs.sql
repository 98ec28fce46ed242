with

ml_revenue as (

    select * from {{ ref('ml_revenue') }}
    where output = 'model_runs'

),

ml_segments as (

    select * from {{ ref('ml_segments') }}
    where output = 'model_runs'

),

revenue_runs as (

    select
        run_id,
        run_model,
        as_of_date,
        data_version,
        code_version,
        parameters,
        versions,
        tier,
        model_used,
        verdict,
        reason,
        n_rows,
        n_campaigns,
        n_series,
        n_days,
        n_origins,
        n_training_rows,
        first_date,
        last_date,
        wape,
        r2,
        bias,
        coverage_80,
        coverage_80_biggest_third,
        best_baseline,
        wape_against_best_baseline,
        drift_status,
        drift_flags,
        drift_error_ratio,
        drift_coverage,
        drift_psi_roas,
        drift_psi_channel

    from ml_revenue

),

segment_runs as (

    select
        run_id,
        run_model,
        as_of_date,
        data_version,
        code_version,
        parameters,
        versions,
        cast(null as string) as tier,
        cast(null as string) as model_used,
        verdict,
        reason,
        n_rows,
        n_campaigns,
        cast(null as bigint) as n_series,
        n_days,
        cast(null as bigint) as n_origins,
        cast(null as bigint) as n_training_rows,
        first_date,
        last_date,
        cast(null as double) as wape,
        cast(null as double) as r2,
        cast(null as double) as bias,
        cast(null as double) as coverage_80,
        cast(null as double) as coverage_80_biggest_third,
        cast(null as string) as best_baseline,
        cast(null as double) as wape_against_best_baseline,
        cast(null as string) as drift_status,
        cast(null as string) as drift_flags,
        cast(null as double) as drift_error_ratio,
        cast(null as double) as drift_coverage,
        cast(null as double) as drift_psi_roas,
        cast(null as double) as drift_psi_channel

    from ml_segments

),

final as (

    select * from revenue_runs
    union all
    select * from segment_runs

)

select * from final
