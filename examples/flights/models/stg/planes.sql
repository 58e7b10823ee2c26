MODEL (
  name stg.planes,
  kind VIEW,
  description 'Planes in the register, with one name a manufacturer',
  grain (tailnum)
);

select
  tailnum,
  year as year_built,
  case
    when manufacturer like 'AIRBUS%' then 'Airbus'
    when manufacturer like 'BOEING%' then 'Boeing'
    when manufacturer like 'BOMBARDIER%' or manufacturer like 'CANADAIR%' then 'Bombardier'
    when manufacturer like 'EMBRAER%' then 'Embraer'
    when manufacturer like 'MCDONNELL DOUGLAS%' or manufacturer = 'DOUGLAS' then 'McDonnell Douglas'
    else 'other'
  end as manufacturer,
  model,
  engine,
  seats
from raw.planes
