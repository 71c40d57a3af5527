"""Columns of an observation table: place and time of each observation, named after IODA."""

STATION = "MetaData/stationIdentification"
STATION_TYPE = "MetaData/stationType"
TIME = "MetaData/dateTime"
LATITUDE = "MetaData/latitude"
LONGITUDE = "MetaData/longitude"
PRESSURE = "MetaData/pressure"
