# Run by Snakemake in a new conda environment, from the top of the repository: the package itself, as it lies here.
pip install --quiet --no-deps --no-build-isolation --editable .
