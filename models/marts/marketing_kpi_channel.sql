with

kpi as (

    select * from {{ ref('marketing_kpi') }}

),

totals as (

    select
        channel,
        count(distinct campaign_id) as campaigns,
        min(date) as first_date,
        max(date) as last_date,
        {{ sum_measures() }}

    from kpi
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
        {{ kpi_columns() }}

    from totals

)

select * from final
