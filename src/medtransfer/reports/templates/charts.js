"use strict";
(function () {
  var content = JSON.parse(document.getElementById("charts").textContent);
  var options = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    showSendToCloud: false
  };
  function themed(figure) {
    var dark = document.documentElement.dataset.theme === "dark";
    var styles = getComputedStyle(document.documentElement);
    var palette = dark ? content.dark : content.light;
    var copy = JSON.parse(JSON.stringify(figure));
    copy.data.forEach(function (trace) {
      var colour = palette[trace.meta.colour];
      if (trace.line) { trace.line.color = colour; }
      if (trace.marker) { trace.marker.color = colour; trace.marker.line.color = trace.meta.outlined ? styles.getPropertyValue("--raised").trim() : colour; }
      if (trace.error_x) { trace.error_x.color = colour; }
      if (trace.error_y) { trace.error_y.color = colour; }
    });
    var ink = styles.getPropertyValue("--ink").trim();
    var grid = styles.getPropertyValue("--rule").trim();
    var ground = styles.getPropertyValue("--raised").trim();
    copy.layout.paper_bgcolor = "rgba(0,0,0,0)";
    copy.layout.plot_bgcolor = "rgba(0,0,0,0)";
    copy.layout.font = { family: styles.getPropertyValue("--font").trim(), size: 13, color: ink };
    copy.layout.hoverlabel = { bgcolor: ground, bordercolor: grid, font: { color: ink }, align: "left" };
    copy.layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: styles.getPropertyValue("--quiet").trim(), activecolor: ink };
    Object.keys(copy.layout).forEach(function (key) {
      if (/^[xy]axis/.test(key)) {
        copy.layout[key].gridcolor = grid;
        copy.layout[key].linecolor = grid;
      }
    });
    return copy;
  }
  var drawn = new Set();
  function draw(place) {
    var figure = themed(content.figures[place.dataset.chart]);
    drawn.add(place);
    Plotly.react(place, figure.data, figure.layout, options);
  }
  var places = document.querySelectorAll(".plot");
  var seen = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (entry.isIntersecting && !drawn.has(entry.target)) {
        draw(entry.target);
      }
    });
  }, { rootMargin: "400px" });
  places.forEach(function (place) { seen.observe(place); });
  document.addEventListener("themechange", function () { drawn.forEach(draw); });
  document.addEventListener("drawall", function () {
    places.forEach(function (place) {
      if (place.offsetParent !== null) { draw(place); }
    });
  });
})();
