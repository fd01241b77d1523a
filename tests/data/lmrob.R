# Rscript tests/data/lmrob.R > tests/data/lmrob.json
#
# MM- and S-estimates of robustbase for classic data sets, at more subsets and smaller
# tolerances than its defaults, and constants to 16 digits. Writes the data beside them,
# without a JSON package.
suppressPackageStartupMessages(library(robustbase))

sources <- list(
  stackloss = "Brownlee (1965), Statistical Theory and Methodology, p. 454",
  starsCYG = "Rousseeuw, Leroy (1987), Robust Regression and Outlier Detection, p. 27",
  hbk = "Hawkins, Bradu, Kass (1984), Technometrics 26, 197-208",
  wood = "Draper, Smith (1966), p. 227, as modified by Rousseeuw, Leroy (1987), p. 243",
  coleman = "Mosteller, Tukey (1977), Data Analysis and Regression, p. 546",
  delivery = "Montgomery, Peck (1982), Introduction to Linear Regression Analysis, p. 116",
  salinity = "Ruppert, Carroll (1980), Journal of the American Statistical Association 75",
  phones = "Rousseeuw, Leroy (1987), p. 26; Belgian Statistical Survey",
  telef = "Rousseeuw, Leroy (1987), p. 26; Belgian Statistical Survey",
  education = "Chatterjee, Price (1977), Regression Analysis by Example, p. 108",
  heart = "Weisberg (1980), Applied Linear Regression, p. 218",
  toxicity = "Maguna, Nunez, Okulik, Castro (2003), Russian J. General Chemistry 73"
)
formulas <- list(
  stackloss = stack.loss ~ ., starsCYG = log.light ~ log.Te, hbk = Y ~ ., wood = y ~ .,
  coleman = Y ~ ., delivery = delTime ~ ., salinity = Y ~ ., phones = calls ~ year,
  telef = Calls ~ Year, education = Y ~ factor(Region) + X1 + X2 + X3,
  heart = clength ~ ., toxicity = toxicity ~ .
)
control <- lmrob.control(
  psi = "bisquare", tuning.psi = 4.685064948543537, tuning.chi = 1.5476449809282258,
  bb = 0.5,
  nResample = 20000, best.r.s = 20, k.max = 5000, maxit.scale = 5000, max.it = 5000,
  refine.tol = 1e-13, rel.tol = 1e-13, scale.tol = 1e-14
)
load_set <- function(name) {
  package <- switch(name, stackloss = "datasets", phones = "MASS", "robustbase")
  place <- new.env()
  data(list = name, package = package, envir = place)
  as.data.frame(place[[name]])
}
array <- function(x) paste0("[", paste(sprintf("%.15g", x), collapse = ", "), "]")
table <- function(X) {
  paste0("[", paste(apply(X, 1, array), collapse = ", "), "]")
}
one <- function(name) {
  set.seed(1)
  frame <- load_set(name)
  fit <- suppressWarnings(lmrob(formulas[[name]], frame, control = control))
  X <- model.matrix(fit)[, -1, drop = FALSE]
  sprintf(paste(
    '    "%s": {', '      "source": "%s",', '      "X": %s,', '      "y": %s,',
    '      "coefficients": %s,', '      "s_coefficients": %s,', '      "scale": %s,',
    '      "std_errors": %s', '    }', sep = "\n"
  ), name, sources[[name]], table(unname(X)), array(model.response(model.frame(fit))),
  array(coef(fit)), array(fit$init.S$coefficients), sprintf("%.15g", fit$scale),
  array(sqrt(diag(vcov(fit)))))
}
versions <- sprintf("R %s, robustbase %s, MASS %s", getRversion(),
                    packageVersion("robustbase"), packageVersion("MASS"))
cat("{\n", sprintf('  "made_by": "lmrob.R with %s",\n', versions),
    '  "order": "intercept first",\n', '  "sets": {\n',
    paste(vapply(names(formulas), one, ""), collapse = ",\n"), "\n  }\n}\n", sep = "")
