MODEL (
  name marts.delays_by_weather,
  kind FULL,
  description 'Delays and cancellations by the weather at the scheduled hour of departure',
  grain (wind, precipitation, visibility)
);

with flights as (
  select
    case
      when weather.wind_mph < 10 then 'light'
      when weather.wind_mph < 20 then 'moderate'
      when weather.wind_mph < 30 then 'strong'
      when weather.wind_mph >= 30 then 'very strong'
      else 'unknown'
    end as wind,
    case
      when weather.precip_inches = 0 then 'none'
      when weather.precip_inches < 0.1 then 'light'
      when weather.precip_inches >= 0.1 then 'heavy'
      else 'unknown'
    end as precipitation,
    case
      when weather.visibility_miles >= 10 then 'clear'
      when weather.visibility_miles >= 3 then 'hazy'
      when weather.visibility_miles < 3 then 'poor'
      else 'unknown'
    end as visibility,
    flights.is_cancelled,
    flights.dep_delay,
    flights.arr_delay
  from stg.flights
  left join stg.weather
    on weather.origin = flights.origin
    and weather.time_hour = flights.time_hour
)

select
  wind,
  precipitation,
  visibility,
  count(*) as scheduled,
  round(avg(is_cancelled::integer), 4) as cancelled_share,
  round(avg(dep_delay), 2) as mean_dep_delay,
  round(avg(arr_delay), 2) as mean_arr_delay
from flights
group by wind, precipitation, visibility
