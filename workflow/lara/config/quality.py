"""Section of the configuration: quality control of the observations."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lara.config.sections import Positive, Section

LARGEST_CELL = 45.0  # degrees; beyond it a cell's mean says nothing of its middle


class QualityControl(Section):
    """Which observations are refused, thinned or counted less; `null` switches a check off."""

    gross_check: Positive | None = Field(
        6.0, description="largest departure from the climatological mean [climatological std]; null: none"
    )
    background_check: Positive | None = Field(
        4.0, description="largest departure from the background [std of the innovation, √(σ_b² + σ_o²)]; null: none"
    )
    huber: Positive | None = Field(
        None, description="departure beyond which the cost grows linearly, not as its square [σ_o]; null: never"
    )
    thinning: Literal["none", "thin", "superob"] = Field(
        "none", description="what is done with several data of one variable, level, slot and cell: keep one, or average"
    )
    thinning_degrees: Positive = Field(5.0, description="side of a cell of thinning [degrees]")
    blacklist: Path | None = Field(
        None, description="CSV file of stations not to use: station, and if wanted variable, begin, end [UTC]"
    )

    @model_validator(mode="after")
    def _sensible(self) -> QualityControl:
        if self.thinning_degrees > LARGEST_CELL:
            raise ValueError(
                f"thinning_degrees {self.thinning_degrees:g} exceed {LARGEST_CELL:g}: cells are to be a few grid "
                "spacings wide, choose fewer degrees"
            )
        if self.blacklist is not None and self.blacklist.suffix != ".csv":
            raise ValueError(f"blacklist '{self.blacklist}' is no .csv file: write it as CSV with a column `station`")
        return self
