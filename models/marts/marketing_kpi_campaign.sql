{%- set days = var('underperformance_window_days') -%}
{%- set window_measures = ['leads', 'conversions', 'cost', 'revenue'] -%}
{%- set window_kpis = ['cpl', 'roi', 'roas'] -%}
{%- set in_current = "date > date_sub(as_of_date, " ~ days ~ ") and date <= as_of_date" -%}
{%- set in_previous =
    "date > date_sub(as_of_date, " ~ 2 * days ~ ") and date <= date_sub(as_of_date, " ~ days ~ ")"
-%}
with

monthly as (

    select * from {{ ref('marketing_kpi_monthly') }}

),

as_of as (

    select {{ as_of_date('last_date') }} as as_of_date from monthly

),

-- only the days that windows need, however long the history is
recent as (

    select
        kpi.*,
        as_of.as_of_date

    from {{ ref('marketing_kpi') }} as kpi
    cross join as_of
    where {{ recent_months(ref('marketing_kpi_monthly'), 2 * days, 'kpi.month') }}

),

placements as (

    select
        campaign_id,
        channel,
        segment,
        sum(cost) as cost

    from monthly
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

active_days_by_month as (

    -- a day counts once, in however many channels and segments the campaign ran
    select
        campaign_id,
        month,
        bit_count(bit_or(active_day_bits)) as active_days

    from monthly
    group by campaign_id, month

),

active_days as (

    select
        campaign_id,
        sum(active_days) as active_days

    from active_days_by_month
    group by campaign_id

),

history as (

    select
        monthly.campaign_id,
        max_by(
            monthly.campaign_name, struct(monthly.last_date, monthly.campaign_name)
        ) as campaign_name,
        max(as_of.as_of_date) as as_of_date,
        min(monthly.first_date) as first_date,
        max(monthly.last_date) as last_date,
        {{ sum_measures() }},
        coalesce(min(monthly.is_leads_reported), false) as is_leads_reported

    from monthly
    cross join as_of
    group by monthly.campaign_id

),

recent_days as (

    select
        campaign_id,
        date,
        as_of_date,
        {{ sum_measures(only=window_measures) }}

    from recent
    group by campaign_id, date, as_of_date

),

windows as (

    select
        campaign_id,
        count(case when cost > 0 and {{ in_current }} then date end) as current_active_days,
        count(case when cost > 0 and {{ in_previous }} then date end) as previous_active_days,
        {{ sum_measures('current_', in_current, window_measures) }},
        {{ sum_measures('previous_', in_previous, window_measures) }}

    from recent_days
    group by campaign_id

),

totals as (

    select
        history.*,
        coalesce(active_days.active_days, 0) as active_days,
        coalesce(windows.current_active_days, 0) as current_active_days,
        coalesce(windows.previous_active_days, 0) as previous_active_days,
        {%- for window in ['current_', 'previous_'] %}
        {%- for measure in window_measures %}
        windows.{{ window }}{{ measure }},
        {%- endfor %}
        {%- endfor %}
        windows.campaign_id is not null as is_recent

    from history
    left join active_days
        on history.campaign_id = active_days.campaign_id
    left join windows
        on history.campaign_id = windows.campaign_id

),

channel_totals as (

    select
        channel,
        {{ sum_measures('channel_', in_current, window_measures) }}

    from recent
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
