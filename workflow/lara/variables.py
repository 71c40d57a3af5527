"""The atmospheric variables LARA knows: short names, CF-1.11 standard names, SI units and archive names.

Archive names are those of WeatherBench 2 (Rasp et al. 2024, doi:10.1029/2023MS004019), which are the CDS long
names of ERA5.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """A physical quantity in SI units; `upper_air` ones live on pressure levels, others near the surface."""

    name: str
    long_name: str
    standard_name: str
    units: str
    archive_name: str
    upper_air: bool
    non_negative: bool = False

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes of the variable: `long_name`, `standard_name`, `units`."""
        return {"long_name": self.long_name, "standard_name": self.standard_name, "units": self.units}


_MSL = "mean sea level pressure", "air_pressure_at_mean_sea_level", "Pa", "mean_sea_level_pressure"
_U10 = "10 m eastward wind", "eastward_wind", "m s-1", "10m_u_component_of_wind"
_V10 = "10 m northward wind", "northward_wind", "m s-1", "10m_v_component_of_wind"
_T2M = "2 m temperature", "air_temperature", "K", "2m_temperature"
_Z = "geopotential", "geopotential", "m2 s-2", "geopotential"
_Q = "specific humidity", "specific_humidity", "kg kg-1", "specific_humidity"
_U = "eastward wind", "eastward_wind", "m s-1", "u_component_of_wind"
_V = "northward wind", "northward_wind", "m s-1", "v_component_of_wind"
_T = "temperature", "air_temperature", "K", "temperature"

VARIABLES: dict[str, Variable] = {
    "msl": Variable("msl", *_MSL, upper_air=False),
    "u10": Variable("u10", *_U10, upper_air=False),
    "v10": Variable("v10", *_V10, upper_air=False),
    "t2m": Variable("t2m", *_T2M, upper_air=False),
    "z": Variable("z", *_Z, upper_air=True),
    "q": Variable("q", *_Q, upper_air=True, non_negative=True),
    "u": Variable("u", *_U, upper_air=True),
    "v": Variable("v", *_V, upper_air=True),
    "t": Variable("t", *_T, upper_air=True),
}
