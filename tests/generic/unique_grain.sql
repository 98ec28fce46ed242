{% test unique_grain(model, columns, nullable=[]) %}
{#- The grain that the model's first sentence names: no repeated key, and no key that is null. -#}

select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns if column not in nullable %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
