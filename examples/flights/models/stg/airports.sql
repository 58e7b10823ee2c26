-- No header: the name comes from the path, the rest from the defaults.
-- Three airports are listed with a wrong position: one has latitude and longitude swapped (nothing in the
-- United States lies north of 72°), two lack the sign of their longitude and so have a zone in Asia.
select
  faa as airport,
  name,
  case when lat > 72 then lon else lat end as latitude,
  case when lat > 72 then -lat when tz > 0 then -lon else lon end as longitude,
  alt as altitude_feet,
  case when tz <= 0 then tzone end as time_zone
from raw.airports
