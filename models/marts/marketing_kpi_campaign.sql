{%- set days = var('underperformance_window_days') -%}
{%- set window_measures = ['leads', 'conversions', 'cost', 'revenue'] -%}
{%- set window_kpis = ['cpl', 'roi', 'roas'] -%}
{%- set in_current = "date > date_sub(as_of_date, " ~ days ~ ") and date <= as_of_date" -%}
{%- set in_previous -%}
    date > date_sub(as_of_date, {{ 2 * days }}) and date <= date_sub(as_of_date, {{ days }})
{%- endset -%}

with

kpi as (

    select * from {{ ref('marketing_kpi') }}

),

as_of as (

    select {{ as_of_date() }} as as_of_date from kpi

),

dated as (

    select
        kpi.*,
        as_of.as_of_date

    from kpi
    cross join as_of

),

placements as (

    select
        campaign_id,
        channel,
        segment,
        sum(cost) as cost

    from kpi
    group by campaign_id, channel, segment

),

main_placements as (

    -- the struct breaks ties by name, so that equal costs give the same answer every time
    select
        campaign_id,
        max_by(channel, struct(cost, channel)) as main_channel,
        max_by(segment, struct(cost, segment)) as main_segment

    from placements
    group by campaign_id

),

totals as (

    select
        campaign_id,
        max_by(campaign_name, struct(date, campaign_name)) as campaign_name,
        max(as_of_date) as as_of_date,
        min(date) as first_date,
        max(date) as last_date,
        count(distinct case when cost > 0 then date end) as active_days,
        {{ sum_measures() }},
        count(
            distinct case when cost > 0 and {{ in_current }} then date end
        ) as current_active_days,
        count(
            distinct case when cost > 0 and {{ in_previous }} then date end
        ) as previous_active_days,
        {{ sum_measures('current_', in_current, window_measures) }},
        {{ sum_measures('previous_', in_previous, window_measures) }},
        coalesce(min(is_leads_reported), false) as is_leads_reported

    from dated
    group by campaign_id

),

channel_totals as (

    select
        channel,
        {{ sum_measures('channel_', in_current, window_measures) }}

    from dated
    group by channel

),

channel_kpis as (

    select
        channel,
        {{ kpi_columns('channel_', ['cpl']) }}

    from channel_totals

),

campaigns as (

    select
        totals.*,
        main_placements.main_channel,
        main_placements.main_segment,
        channel_kpis.channel_cpl as current_channel_cpl,
        {{ kpi_columns() }},
        {{ kpi_columns('current_', window_kpis) }},
        {{ kpi_columns('previous_', window_kpis) }}

    from totals
    inner join main_placements
        on totals.campaign_id = main_placements.campaign_id
    left join channel_kpis
        on main_placements.main_channel = channel_kpis.channel

),

judged as (

    select
        *,
        current_active_days >= {{ var('underperformance_min_days') }} as is_judged,
        case
            when current_roi < {{ var('underperformance_roi_target') }}
                then concat(
                    'ROI of ',
                    format_number(100 * current_roi, 1),
                    ' % is below the target of ',
                    format_number(100 * {{ var('underperformance_roi_target') }}, 1),
                    ' %'
                )
        end as roi_reason,
        case
            when
                current_channel_cpl > 0
                and current_cpl > {{ var('underperformance_cpl_ratio') }} * current_channel_cpl
                then concat(
                    'cost per lead of ',
                    format_number(current_cpl, 2),
                    ' is ',
                    format_number({{ safe_divide('current_cpl', 'current_channel_cpl') }}, 1),
                    ' times the ',
                    format_number(current_channel_cpl, 2),
                    ' of channel ',
                    main_channel
                )
            when current_cost > 0 and current_leads = 0
                then concat('no lead for a cost of ', format_number(current_cost, 2))
        end as cpl_reason,
        case
            when
                previous_roas > 0
                and previous_active_days >= {{ var('underperformance_min_days') }}
                and current_roas < {{ var('underperformance_roas_trend') }} * previous_roas
                then concat(
                    'ROAS fell from ',
                    format_number(previous_roas, 2),
                    ' to ',
                    format_number(current_roas, 2),
                    ' within {{ days }} days'
                )
        end as trend_reason

    from campaigns

),

final as (

    select
        campaign_id,
        campaign_name,
        main_channel,
        main_segment,
        as_of_date,
        first_date,
        last_date,
        active_days,
        impressions,
        clicks,
        leads,
        conversions,
        cost,
        revenue,
        ctr,
        cvr,
        cpl,
        cpa,
        cpc,
        cpm,
        roi,
        roas,
        aov,
        current_active_days,
        current_leads,
        current_conversions,
        current_cost,
        current_revenue,
        current_cpl,
        current_roi,
        current_roas,
        current_channel_cpl,
        previous_leads,
        previous_conversions,
        previous_cost,
        previous_revenue,
        previous_cpl,
        previous_roi,
        previous_roas,
        is_leads_reported,
        case
            when is_judged
                then coalesce(roi_reason, cpl_reason, trend_reason) is not null
        end as is_underperforming,
        case
            when is_judged
                then nullif(concat_ws('; ', roi_reason, cpl_reason, trend_reason), '')
            else concat(
                'not judged: ',
                cast(current_active_days as string),
                ' days with spend in the last {{ days }}, fewer than ',
                '{{ var("underperformance_min_days") }}'
            )
        end as underperformance_reasons

    from judged

)

select * from final
