{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['channel', 'date'],
        partition_by='month',
        on_schema_change='fail',
    )
}}

with

kpi as (

    select * from {{ ref('marketing_kpi') }}
    where {{ changed_months(ref('marketing_kpi')) }}

),

totals as (

    select
        channel,
        date,
        count(distinct campaign_id) as campaigns,
        {{ sum_measures() }},
        coalesce(min(is_leads_reported), false) as is_leads_reported,
        max(load_no) as load_no,
        month

    from kpi
    group by channel, date, month

),

final as (

    select
        channel,
        date,
        campaigns,
        impressions,
        clicks,
        leads,
        conversions,
        cost,
        revenue,
        {{ kpi_columns() }},
        is_leads_reported,
        load_no,
        month

    from totals

)

select * from final
