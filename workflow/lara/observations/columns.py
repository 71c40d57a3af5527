"""Columns of an observation table that say where and when a datum was taken, named after IODA."""

STATION = "MetaData/stationIdentification"
STATION_TYPE = "MetaData/stationType"
TIME = "MetaData/dateTime"
LATITUDE = "MetaData/latitude"
LONGITUDE = "MetaData/longitude"
PRESSURE = "MetaData/pressure"
