(function () {
  const code = document.getElementById("code"), signIn = document.getElementById("sign-in");
  addEventListener("hashchange", () => {
    sessionStorage.setItem("code", location.hash.slice(1));
    location.replace(location.pathname);
  });
  let given = location.hash.slice(1);
  if (given) history.replaceState(null, "", location.pathname);
  else given = sessionStorage.getItem("code") || "";
  if (!code) return;
  sessionStorage.removeItem("code");
  try { given = decodeURIComponent(given); } catch (e) { }
  if (given && !code.value) code.value = given;
  if (!signIn) return;
  signIn.addEventListener("click", () => sessionStorage.setItem("code", code.value));
  code.form.addEventListener("submit", (e) => { e.preventDefault(); signIn.click(); });
})();
