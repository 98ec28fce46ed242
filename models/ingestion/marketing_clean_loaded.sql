{{
    config(
        alias='marketing_clean',
        enabled=(var('marketing_data') == 'own'),
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['source', 'campaign_id', 'channel', 'segment', 'date'],
        partition_by='month',
        tblproperties={'delta.dataSkippingStatsColumns': 'date,load_no'},
        on_schema_change='fail',
        meta={'newer_by': 'delivered_version'},
    )
}}

with

accepted as (

    select * from {{ ref('int_marketing__judged_rows') }}
    where
        refused_rule is null
        and {{ unread_loads() }}

),

single_rows as (

    -- the many rows whose key nobody else has need no sorting
    select
        source,
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
        cast(1 as bigint) as delivered_rows,
        row_version,
        load_no

    from accepted
    where
        key_rows = 1
        and load_no not in {{ overlapping_loads(source('raw', 'raw_marketing_load')) }}

),

repeated_rows as (

    select * from accepted
    where
        key_rows > 1
        or load_no in {{ overlapping_loads(source('raw', 'raw_marketing_load')) }}

),

summed_rows as (

    -- several rows of one key in one load are parts of it (device, network, …)
    select
        source,
        campaign_id,
        max(campaign_name) as campaign_name,
        channel,
        segment,
        date,
        {{ sum_measures() }},
        count(*) as delivered_rows,
        max(row_version) as row_version,
        load_no

    from repeated_rows
    group by source, campaign_id, channel, segment, date, load_no

),

ranked_rows as (

    select
        *,
        row_number() over (
            partition by source, campaign_id, channel, segment, date
            order by row_version desc nulls last, load_no desc
        ) as newest_first

    from summed_rows

),

deduplicated as (

    select * from single_rows
    union all
    select
        source,
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
        delivered_rows,
        row_version,
        load_no
    from ranked_rows
    where newest_first = 1

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
        source,
        delivered_rows,
        load_no,
        concat(
            coalesce(row_version, ''), '|', lpad(cast(load_no as string), 12, '0')
        ) as delivered_version,
        cast(trunc(date, 'MM') as date) as month

    from deduplicated

)

select * from final
