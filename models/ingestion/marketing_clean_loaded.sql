{{
    config(
        alias='marketing_clean',
        enabled=(var('marketing_data') == 'own'),
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['source', 'campaign_id', 'channel', 'segment', 'date'],
        partition_by='month',
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

loads as (

    select * from {{ source('raw', 'raw_marketing_load') }}
    where {{ unread_loads() }}

),

overlapping_loads as (

    -- loads that bring days which another load of the same source brings too
    select distinct one.load_no

    from loads as one
    inner join loads as another
        on
            one.source = another.source
            and one.load_no <> another.load_no
            and coalesce(one.first_date <= another.last_date, true)
            and coalesce(one.last_date >= another.first_date, true)

),

single_rows as (

    -- the many rows whose key nobody else has need no sorting
    select
        accepted.source,
        accepted.campaign_id,
        accepted.campaign_name,
        accepted.channel,
        accepted.segment,
        accepted.date,
        accepted.impressions,
        accepted.clicks,
        accepted.leads,
        accepted.conversions,
        accepted.cost,
        accepted.revenue,
        cast(1 as bigint) as delivered_rows,
        accepted.row_version,
        accepted.load_no

    from accepted
    left anti join overlapping_loads
        on accepted.load_no = overlapping_loads.load_no
    where accepted.key_rows = 1

),

repeated_rows as (

    select accepted.*

    from accepted
    left join overlapping_loads
        on accepted.load_no = overlapping_loads.load_no
    where
        accepted.key_rows > 1
        or overlapping_loads.load_no is not null

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
