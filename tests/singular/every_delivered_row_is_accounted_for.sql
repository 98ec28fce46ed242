{#-
    Each load, row by row: what the ledger counted is in the raw table, and every raw row is
    accepted or in marketing_rejects, and what is accepted stands in marketing_clean unless a
    newer delivery of its key does. `marketing build` sets MARKETING_TESTED_FROM_LOAD to the first
    load that has not been published; otherwise all loads are counted.
-#}
{{ config(enabled=(var('marketing_data') == 'own')) }}

with

loads as (

    select * from {{ source('raw', 'raw_marketing_load') }}
    where load_no >= {{ first_tested_load() }}

),

judged as (

    select * from {{ ref('int_marketing__judged_rows') }}
    where load_no >= {{ first_tested_load() }}

),

rejects as (

    select
        load_no,
        count(*) as rejected

    from {{ ref('marketing_rejects') }}
    where load_no >= {{ first_tested_load() }}
    group by load_no

),

clean as (

    select * from {{ tested_rows(ref('marketing_clean_loaded')) }}

),

counted as (

    select
        load_no,
        count(*) as landed,
        count_if(refused_rule is null) as accepted

    from judged
    group by load_no

),

standing as (

    select
        load_no,
        sum(delivered_rows) as standing

    from clean
    where load_no >= {{ first_tested_load() }}
    group by load_no

),

accounts as (

    select
        loads.load_no,
        loads.delivered,
        coalesce(counted.landed, 0) as landed,
        coalesce(counted.accepted, 0) as accepted,
        coalesce(rejects.rejected, 0) as rejected,
        coalesce(standing.standing, 0) as standing

    from loads
    left join counted
        on loads.load_no = counted.load_no
    left join rejects
        on loads.load_no = rejects.load_no
    left join standing
        on loads.load_no = standing.load_no

),

missing as (

    -- only where rows don't stand any more: each must have been replaced by a newer one
    select
        judged.load_no,
        count(*) as missing

    from judged
    inner join accounts
        on
            judged.load_no = accounts.load_no
            and accounts.accepted > accounts.standing
    left anti join clean
        on
            judged.source = clean.source
            and judged.campaign_id = clean.campaign_id
            and judged.channel = clean.channel
            and judged.segment = clean.segment
            and judged.date <=> clean.date
            and concat(
                coalesce(judged.row_version, ''), '|', lpad(cast(judged.load_no as string), 12, '0')
            ) <= clean.delivered_version
    where judged.refused_rule is null
    group by judged.load_no

),

final as (

    select
        accounts.*,
        coalesce(missing.missing, 0) as missing

    from accounts
    left join missing
        on accounts.load_no = missing.load_no
    where
        accounts.delivered <> accounts.landed
        or accounts.landed <> accounts.accepted + accounts.rejected
        or accounts.standing > accounts.accepted
        or missing.missing > 0

)

select * from final
