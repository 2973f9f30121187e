(function () {
  const code = document.getElementById("code"), signIn = document.getElementById("sign-in");
  let given = location.hash.slice(1);
  if (given) history.replaceState(null, "", location.pathname);
  else given = sessionStorage.getItem("code") || "";
  sessionStorage.removeItem("code");
  if (!code) return;
  try { given = decodeURIComponent(given); } catch (e) { }
  if (given && !code.value) code.value = given;
  if (signIn) signIn.addEventListener("click", () => sessionStorage.setItem("code", code.value));
})();
