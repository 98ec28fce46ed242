{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['channel', 'date'],
        on_schema_change='fail',
    )
}}

with

kpi as (

    select * from {{ ref('marketing_kpi') }}
    where {{ restatement_filter() }}

),

totals as (

    select
        channel,
        date,
        count(distinct campaign_id) as campaigns,
        {{ sum_measures() }},
        coalesce(min(is_leads_reported), false) as is_leads_reported

    from kpi
    group by channel, date

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
        is_leads_reported

    from totals

)

select * from final
