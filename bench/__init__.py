"""clew beside what people use instead, on the same tool and the same upstream: `python -m bench`."""
