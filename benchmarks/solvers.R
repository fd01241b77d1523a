# Rscript solvers.R method folder n p quantile beta alpha tol
#
# Fits what solvers.py asks for to folder/X (by columns) and folder/y, and prints the
# processor's seconds, the intercept and the coefficients, a line each.
arguments <- commandArgs(trailingOnly = TRUE)
method <- arguments[1]
folder <- arguments[2]
figures <- as.numeric(arguments[-(1:2)])
n <- figures[1]
p <- figures[2]
quantile <- figures[3]
beta <- figures[4]
alpha <- figures[5]
tol <- figures[6]

X <- matrix(readBin(file.path(folder, "X"), "double", n * p), n, p)
y <- readBin(file.path(folder, "y"), "double", n)

package <- c(fn = "quantreg", pfn = "quantreg", rlm = "MASS", hqreg = "hqreg")
invisible(suppressPackageStartupMessages(loadNamespace(package[[method]])))

fits <- list(
  fn = function() {
    quantreg::rq.fit.fnb(cbind(1, X), y, tau = quantile, eps = tol)$coefficients
  },
  pfn = function() {
    quantreg::rq.fit.pfn(cbind(1, X), y, tau = quantile, eps = tol)$coefficients
  },
  rlm = function() {
    MASS::rlm(cbind(1, X), y, k = beta, acc = tol, maxit = 1000)$coefficients
  },
  hqreg = function() {
    # A warm start on the way to alpha, as its paths are made for.
    path <- exp(seq(log(100 * alpha), log(alpha), length.out = 10))
    fit <- hqreg::hqreg(X, y, method = "huber", gamma = beta, lambda = path,
                        preprocess = "none", eps = tol, max.iter = 100000)
    fit$beta[, ncol(fit$beta)]
  }
)
time <- system.time(coefficients <- fits[[method]]())
if (time[["elapsed"]] < 1) {
  # The first call also compiles.
  time <- system.time(fits[[method]]())
}
cat(time[["user.self"]] + time[["sys.self"]], sprintf("%.17g", coefficients),
    sep = "\n")
