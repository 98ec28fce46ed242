with

kpi as (

    select * from {{ ref('marketing_kpi') }}

),

bounds as (

    select
        min(date) as first_day,
        max(date) as last_day

    from kpi

),

final as (

    select explode(sequence(first_day, last_day)) as date_day
    from bounds
    where first_day is not null

)

select * from final
