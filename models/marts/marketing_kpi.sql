{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['campaign_id', 'channel', 'segment', 'date'],
        on_schema_change='fail',
    )
}}

with

performance as (

    select * from {{ ref('stg_marketing__campaign_performance') }}
    where {{ restatement_filter() }}

),

totals as (

    select
        campaign_id,
        max(campaign_name) as campaign_name,
        channel,
        segment,
        date,
        {{ sum_measures() }},
        coalesce(max(is_leads_reported), false) as is_leads_reported

    from performance
    group by campaign_id, channel, segment, date

),

final as (

    select
        campaign_id,
        campaign_name,
        channel,
        segment,
        date,
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
