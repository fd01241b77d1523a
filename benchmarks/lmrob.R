# Rscript lmrob.R folder problems n p
#
# Fits robustbase's lmrob to folder/X0 (by columns) and folder/y0, X1 and y1, ..., and
# prints a line for each: the intercept and the coefficients, NaN if it failed, then
# the seconds.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
figures <- as.integer(arguments[-1])
n <- figures[2]
p <- figures[3]

for (number in seq_len(figures[1]) - 1) {
  X <- matrix(readBin(file.path(folder, paste0("X", number)), "double", n * p), n, p)
  y <- readBin(file.path(folder, paste0("y", number)), "double", n)
  set.seed(0)
  time <- system.time(params <- tryCatch({
    fit <- suppressWarnings(
      # By default it stops before it has converged, and then it returns the S-estimate.
      robustbase::lmrob(
        y ~ X, control = robustbase::lmrob.control(max.it = 500, k.max = 5000)
      )
    )
    found <- fit$coefficients
    # A column that depends on others is left out.
    replace(found, is.na(found), 0)
  }, error = function(condition) rep(NaN, p + 1)))
  cat(sprintf("%.17g", c(params, time[["user.self"]])), "\n")
}
