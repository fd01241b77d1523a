"""Where the data lives: an array or a sparse matrix, with or without an intercept."""

from __future__ import annotations

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    FEW_ROWS,
    TIE,
    Array,
    Block,
    Index,
    Rows,
    Standard,
    middle_of,
    product,
    representatives,
    strata,
    stretches,
)
from robustreg.rows.containers import (
    FORMED_ENTRIES,
    dense_rows,
    make_rows,
    prepared,
    rows_in,
    rows_within,
    sampled_columns,
    standard_of,
)
from robustreg.rows.dense import DenseRows
from robustreg.rows.distinct import Merged, merged
from robustreg.rows.formed import FormedRows
from robustreg.rows.gram import WeightedGram, signed_gram, weighted_gram
from robustreg.rows.present import present, taken
from robustreg.rows.rank import design_rank, independent, root_rank
from robustreg.rows.sparse import SparseRows
from robustreg.rows.terms import (
    TYPICAL_ROWS,
    typical_design,
    typical_original_terms,
    typical_row,
    typical_terms,
)

__all__ = [
    "BLOCK_ENTRIES",
    "FEW_ROWS",
    "FORMED_ENTRIES",
    "TIE",
    "TYPICAL_ROWS",
    "Array",
    "Block",
    "DenseRows",
    "FormedRows",
    "Index",
    "Merged",
    "Rows",
    "SparseRows",
    "Standard",
    "WeightedGram",
    "dense_rows",
    "design_rank",
    "independent",
    "make_rows",
    "merged",
    "middle_of",
    "prepared",
    "present",
    "product",
    "representatives",
    "root_rank",
    "rows_in",
    "rows_within",
    "sampled_columns",
    "signed_gram",
    "standard_of",
    "strata",
    "stretches",
    "taken",
    "typical_design",
    "typical_original_terms",
    "typical_row",
    "typical_terms",
    "weighted_gram",
]
