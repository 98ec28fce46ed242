with

ml_revenue as (

    select * from {{ ref('ml_revenue') }}

),

final as (

    select
        run_id,
        as_of_date,
        scope,
        scope_id,
        campaign_id,
        campaign_name,
        current_cost,
        cost,
        budget_multiplier,
        budget_change,
        delta_cost,
        current_revenue,
        revenue,
        delta_revenue,
        delta_revenue_lower_80,
        delta_revenue_upper_80,
        evidence,
        note

    from ml_revenue
    where output = 'budget_reallocation'

)

select * from final
