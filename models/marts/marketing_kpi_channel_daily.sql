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
        {{ sum_measures() }}

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
        {{ kpi_columns() }}

    from totals

)

select * from final
