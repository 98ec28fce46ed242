{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['campaign_id', 'channel', 'segment', 'date'],
        partition_by='month',
        tblproperties={'delta.dataSkippingStatsColumns': 'date,load_no'},
        on_schema_change='fail',
    )
}}

with

performance as (

    select * from {{ ref('stg_marketing__campaign_performance') }}
    where {{ changed_rows() }}

),

final as (

    -- staging has this very grain and is tested for it, so that each row is its own sum
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
        is_leads_reported,
        load_no,
        month

    from performance

)

select * from final
