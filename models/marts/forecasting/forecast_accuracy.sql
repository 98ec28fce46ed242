with

ml_revenue as (

    select * from {{ ref('ml_revenue') }}

),

final as (

    select
        run_id,
        as_of_date,
        model,
        model_kind,
        is_published,
        unit,
        slice,
        slice_value,
        origin_date,
        horizon_weeks,
        n_units,
        actual_revenue,
        predicted_revenue,
        revenue_lower_80,
        revenue_upper_80,
        mae,
        wape,
        r2,
        bias,
        coverage_80,
        coverage_80_biggest_third,
        interval_width,
        best_baseline,
        wape_against_best_baseline,
        verdict

    from ml_revenue
    where output = 'forecast_accuracy'

)

select * from final
