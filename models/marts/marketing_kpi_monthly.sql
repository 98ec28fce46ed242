{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['campaign_id', 'channel', 'segment', 'month'],
        partition_by='month',
        tblproperties={'delta.dataSkippingStatsColumns': 'last_date,load_no'},
        on_schema_change='fail',
    )
}}

with

kpi as (

    select * from {{ ref('marketing_kpi') }}
    where {{ changed_months(ref('marketing_kpi')) }}

),

names as (

    -- apart from the sums: an aggregate of texts would make Spark sort all rows
    select
        campaign_id,
        campaign_name,
        month,
        max(date) as last_date

    from kpi
    group by campaign_id, campaign_name, month

),

newest_names as (

    select
        campaign_id,
        max_by(campaign_name, struct(last_date, campaign_name)) as campaign_name,
        month

    from names
    group by campaign_id, month

),

totals as (

    select
        campaign_id,
        channel,
        segment,
        month,
        min(date) as first_date,
        max(date) as last_date,
        -- one bit a day, so that days can be counted once over channels and segments
        bit_or(case when cost > 0 then shiftleft(1, day(date)) end) as active_day_bits,
        {{ sum_measures() }},
        coalesce(min(is_leads_reported), false) as is_leads_reported,
        max(load_no) as load_no

    from kpi
    group by campaign_id, channel, segment, month

),

final as (

    select
        totals.campaign_id,
        newest_names.campaign_name,
        totals.channel,
        totals.segment,
        totals.first_date,
        totals.last_date,
        totals.active_day_bits,
        totals.impressions,
        totals.clicks,
        totals.leads,
        totals.conversions,
        totals.cost,
        totals.revenue,
        {{ kpi_columns() }},
        totals.is_leads_reported,
        totals.load_no,
        -- last: Spark wants the column of the partitions there when a table is replaced
        totals.month

    from totals
    inner join newest_names
        on
            totals.campaign_id = newest_names.campaign_id
            and totals.month <=> newest_names.month

)

select * from final
