{% materialization seed, adapter='spark' %}
    {#- One typed write by our plugin; dbt-spark would paste the values into INSERT statements. -#}
    {%- set relation = api.Relation.create(
        identifier=model['alias'], schema=schema, database=database, type='table'
    ) -%}
    {%- set comments = {} -%}
    {%- for name, column in model['columns'].items() -%}
        {%- do comments.update({name: column['description']}) -%}
    {%- endfor -%}
    {#- dbt-core asks for the parsed table; `dbt seed --show` has nothing to show here. -#}
    {%- do store_result('agate_table', response='OK', agate_table=none) -%}

    {{ run_hooks(pre_hooks) }}

    {%- call statement('main', language='python') -%}
from dbt_marketing_spark.seeds import load_seed

load_seed(
    spark,
    {{ (model['root_path'] ~ '/' ~ model['original_file_path']) | tojson }},
    {{ relation.render() | tojson }},
    {{ tojson(config.get('column_types', {})) | tojson }},
    {{ tojson(comments) | tojson }},
    {{ config.get('delimiter', ',') | tojson }},
)
    {%- endcall -%}

    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
