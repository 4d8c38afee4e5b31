"use strict";
(function () {
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  var chosen = kept();
  function kept() {
    try {
      return localStorage.getItem("medtransfer-theme");
    } catch (refused) {
      return null;
    }
  }
  function keep() {
    try {
      localStorage.setItem("medtransfer-theme", chosen);
    } catch (refused) {
      return;
    }
  }
  function dark() {
    return chosen ? chosen === "dark" : system.matches;
  }
  function apply() {
    root.dataset.theme = dark() ? "dark" : "light";
    var button = document.getElementById("theme");
    if (button) {
      button.textContent = dark() ? "Light theme" : "Dark theme";
    }
    document.dispatchEvent(new Event("themechange"));
  }
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", function () {
      chosen = dark() ? "light" : "dark";
      keep();
      apply();
    });
    apply();
  });
  function openTarget() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    var fold = target && target.closest("details");
    if (fold) {
      fold.open = true;
      target.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", openTarget);
  window.addEventListener("DOMContentLoaded", openTarget);
  var before = null;
  var closed = [];
  window.addEventListener("beforeprint", function () {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    closed = [].slice.call(document.querySelectorAll("main details.folded:not([open])"));
    closed.forEach(function (fold) { fold.open = true; });
    document.dispatchEvent(new Event("themechange"));
    document.dispatchEvent(new Event("drawall"));
  });
  window.addEventListener("afterprint", function () {
    root.dataset.theme = before || "light";
    closed.forEach(function (fold) { fold.open = false; });
    document.dispatchEvent(new Event("themechange"));
  });
})();
