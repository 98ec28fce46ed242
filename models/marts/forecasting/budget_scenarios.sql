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
        budget_multiplier,
        budget_change,
        cost,
        revenue,
        revenue_lower_80,
        revenue_upper_80,
        delta_cost,
        delta_revenue,
        delta_revenue_lower_80,
        delta_revenue_upper_80,
        roas,
        incremental_roas,
        incremental_roi,
        support,
        evidence,
        note

    from ml_revenue
    where output = 'budget_scenarios'

)

select * from final
