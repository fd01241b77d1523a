# Rscript breakdown.R folder n p
#
# Fits robustbase's lmrob, with its defaults, to folder/X (by columns) and folder/y, and
# prints the processor's seconds, the S-scale and the coefficients, a line each.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
n <- as.numeric(arguments[2])
p <- as.numeric(arguments[3])
X <- matrix(readBin(file.path(folder, "X"), "double", n * p), n, p)
y <- readBin(file.path(folder, "y"), "double", n)
suppressPackageStartupMessages(library(robustbase))
set.seed(1)
# Without the covariance, which nobody else computes here.
control <- lmrob.control(cov = "none", compute.outlier.stats = "none")
design <- cbind(1, X)
fit <- function() {
  first <- lmrob.S(design, y, control)
  lmrob..M..fit(design, y, first$coefficients, first$scale, control, method = "MM")
}
time <- system.time(result <- fit())
if (time[["elapsed"]] < 1) {
  time <- system.time(result <- fit())
}
cat(time[["user.self"]] + time[["sys.self"]], sprintf("%.17g", result$scale),
    sprintf("%.17g", result$coefficients), sep = "\n")
