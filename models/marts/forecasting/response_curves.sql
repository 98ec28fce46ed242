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
        base_cost,
        base_revenue,
        planned_daily_cost,
        reference_daily_cost,
        efficiency,
        own_efficiency,
        forest_factor,
        budget_factor,
        elasticity,
        elasticity_raw,
        elasticity_lower_80,
        elasticity_upper_80,
        carryover,
        daily_cost_p95,
        daily_cost_max,
        model_used,
        evidence

    from ml_revenue
    where output = 'response_curves'

)

select * from final
