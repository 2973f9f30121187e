(function () {
  const form = document.getElementById("open");
  if (!form || location.hash.length < 2) return;
  form.elements.secret.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  form.submit();
})();
