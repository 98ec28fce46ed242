-- How did spend and return develop from month to month?
with

daily as (

    select * from {{ ref('marketing_kpi_channel_daily') }}

),

totals as (

    select
        cast(date_trunc('month', date) as date) as month,
        {{ sum_measures() }}

    from daily
    group by cast(date_trunc('month', date) as date)

),

kpis as (

    select
        month,
        cost,
        revenue,
        {{ kpi_columns(only=['cpl', 'roi']) }}

    from totals

),

final as (

    select
        month,
        cost,
        revenue,
        cpl,
        roi,
        roi - lag(roi) over (order by month) as roi_change

    from kpis

)

select * from final
order by month asc
