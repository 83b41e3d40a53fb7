// Light, dark or as the system has it. Runs before the first paint, so that a chosen theme never flashes.

{
  const NAMES = ["system", "light", "dark"];
  const root = document.documentElement;

  const show = (name) => {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    const button = document.getElementById("theme");
    button?.setAttribute("aria-label", `Theme: ${name}`);
    button?.setAttribute("title", `Theme: ${name}`);
  };

  const kept = localStorage.getItem("theme");
  let chosen = NAMES.includes(kept) ? kept : "system";
  show(chosen);
  document.addEventListener("DOMContentLoaded", () => {
    show(chosen);
    document.getElementById("theme").addEventListener("click", () => {
      chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
      localStorage.setItem("theme", chosen);
      show(chosen);
    });
  });
}
