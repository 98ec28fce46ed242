with

{% if var('marketing_data') == 'own' %}

loads as (

    select * from {{ source('raw', 'raw_marketing_load') }}

),

rejects as (

    select
        load_no,
        count(*) as refused

    from {{ ref('marketing_rejects') }}
    group by load_no

),

final as (

    -- built after marketing_clean, whose next run reads the loads that are not in here
    -- depends on: {{ ref('marketing_clean_loaded') }}
    select
        loads.load_no,
        loads.source,
        loads.source_file,
        loads.source_sha256,
        loads.loaded_at,
        loads.delivered,
        loads.delivered - coalesce(rejects.refused, 0) as accepted,
        coalesce(rejects.refused, 0) as refused,
        loads.warned,
        loads.first_date,
        loads.last_date

    from loads
    left join rejects
        on loads.load_no = rejects.load_no

)

{% else %}

final as (

    select
        cast(null as bigint) as load_no,
        cast(null as string) as source,
        cast(null as string) as source_file,
        cast(null as string) as source_sha256,
        cast(null as timestamp) as loaded_at,
        cast(null as bigint) as delivered,
        cast(null as bigint) as accepted,
        cast(null as bigint) as refused,
        cast(null as bigint) as warned,
        cast(null as date) as first_date,
        cast(null as date) as last_date
    where false

)

{% endif %}

select * from final
