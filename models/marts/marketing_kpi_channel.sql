with

monthly as (

    select * from {{ ref('marketing_kpi_monthly') }}

),

totals as (

    select
        channel,
        count(distinct campaign_id) as campaigns,
        min(first_date) as first_date,
        max(last_date) as last_date,
        {{ sum_measures() }},
        coalesce(min(is_leads_reported), false) as is_leads_reported

    from monthly
    group by channel

),

final as (

    select
        channel,
        campaigns,
        first_date,
        last_date,
        impressions,
        clicks,
        leads,
        conversions,
        cost,
        revenue,
        {{ kpi_columns() }},
        is_leads_reported

    from totals

)

select * from final
