MODEL (
  name marts.delays_by_carrier,
  kind FULL,
  description 'How late each airline is, and how often it does not fly at all',
  grain (carrier)
);

select
  carriers.carrier,
  carriers.airline,
  carriers.business,
  count(*) as scheduled,
  count(*) filter (where flights.is_cancelled) as cancelled,
  count(*) filter (where flights.is_diverted) as diverted,
  round(avg(flights.is_cancelled::integer), 4) as cancelled_share,
  round(avg(flights.dep_delay), 2) as mean_dep_delay,
  round(avg(flights.arr_delay), 2) as mean_arr_delay,
  round(quantile_cont(flights.arr_delay, 0.5), 1) as median_arr_delay,
  round(quantile_cont(flights.arr_delay, 0.9), 1) as p90_arr_delay
from stg.flights
join stg.carriers on carriers.carrier = flights.carrier
group by carriers.carrier, carriers.airline, carriers.business
