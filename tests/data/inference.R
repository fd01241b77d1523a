# Writes inference.json beside it: standard errors by R, and the data they are of.
#
#     Rscript tests/data/inference.R tests/data/inference.json
suppressMessages({library(MASS); library(quantreg); library(robustbase); library(jsonlite)})

data(engel); data(barro)
sets <- list(
  stackloss = list(X = as.matrix(stackloss[, 1:3]), y = stackloss[, 4]),
  engel = list(X = as.matrix(engel["income"]), y = engel$foodexp),
  # In percent: summary.rq by "nid" subtracts 1.5e-8 from what it divides by.
  barro = list(X = as.matrix(barro[, 2:6]), y = 100 * barro[, 1])
)

rlm_case <- function(d, psi, k) {
  x <- cbind(d$X, intercept = 1)
  args <- list(x, d$y, psi = psi, acc = 1e-14, maxit = 2000)
  args[[if (identical(psi, psi.huber)) "k" else "c"]] <- k
  fit <- suppressWarnings(do.call(rlm, args))
  of <- function(method) {
    s <- summary(fit, method = method)
    unname(s$stddev^2 * s$cov.unscaled)
  }
  list(k = k, scale = fit$s, coef = unname(coef(fit)),
       XtX = of("XtX"), XtWX = of("XtWX"))
}

rq_case <- function(d, tau) {
  x <- cbind(d$X, intercept = 1)
  fit <- rq(d$y ~ x - 1, tau = tau)
  of <- function(...) unname(summary(fit, covariance = TRUE, ...)$cov)
  list(tau = tau, coef = unname(coef(fit)),
       iid = of(se = "iid"), nid = of(se = "nid"), ker = of(se = "ker"),
       iid_bofinger = of(se = "iid", hs = FALSE),
       nid_bofinger = of(se = "nid", hs = FALSE),
       ker_bofinger = of(se = "ker", hs = FALSE),
       p_value = unname(summary(fit, se = "nid")$coefficients[, 4]))
}

# Tukey's constants to 16 digits, and tolerances below those of lmrob.
control <- lmrob.control(
  psi = "bisquare", tuning.psi = 4.685064948543537, tuning.chi = 1.5476449809282258,
  nResample = 5000, best.r.s = 20, k.max = 5000, maxit.scale = 5000, max.it = 5000,
  refine.tol = 1e-13, rel.tol = 1e-13, scale.tol = 1e-14
)
lmrob_case <- function(d) {
  set.seed(1)
  fit <- lmrob(d$y ~ d$X, control = control)
  # Of coleman, lmrob keeps residuals that are not those of the S-estimate it returns.
  fit$init$resid <- drop(d$y - cbind(1, d$X) %*% fit$init.S$coefficients)
  order <- c(2:length(coef(fit)), 1)
  avar1 <- robustbase:::.vcov.avar1(fit, x = cbind(1, d$X))
  list(coef = unname(coef(fit)[order]), scale = fit$scale,
       avar1 = unname(avar1[order, order]))
}
data(delivery); data(wood); data(coleman)
more <- list(
  delivery = list(X = as.matrix(delivery[, 1:2]), y = delivery$delTime),
  wood = list(X = as.matrix(wood[, 1:5]), y = wood$y),
  coleman = list(X = as.matrix(coleman[, 1:5]), y = coleman$Y)
)

out <- list(
  source = sprintf("%s, MASS %s, quantreg %s, robustbase %s", R.version.string,
                   packageVersion("MASS"), packageVersion("quantreg"), packageVersion("robustbase")),
  command = "Rscript tests/data/inference.R tests/data/inference.json",
  sets = lapply(c(sets, more), function(d) list(X = unname(d$X), y = unname(d$y))),
  huber = lapply(sets, rlm_case, psi.huber, 1.345),
  tukey = lapply(sets["engel"], rlm_case, psi.bisquare, 4.685),
  mm = lapply(c(sets, more), lmrob_case),
  quantile = lapply(sets, function(d) lapply(c(0.25, 0.5, 0.75), function(tau) rq_case(d, tau)))
)
writeLines(toJSON(out, digits = I(16), auto_unbox = TRUE), commandArgs(TRUE)[1])
