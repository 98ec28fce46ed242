with

ml_revenue as (

    select * from {{ ref('ml_revenue') }}

),

final as (

    select
        run_id,
        as_of_date,
        campaign_id,
        campaign_name,
        channel,
        segment,
        date,
        horizon_days,
        planned_cost,
        predicted_revenue,
        revenue_lower_80,
        revenue_upper_80,
        predicted_roas,
        actual_revenue,
        model_used,
        status,
        evidence

    from ml_revenue
    where output = 'revenue_forecast'

)

select * from final
