// Loads the modules of a page a few at a time, then starts the page.
//
// Each file is a call of the function, and a Lambda function starts another instance for each call
// at the same time. A new AWS account may run only ten at once, for all functions.

const AT_ONCE = 5;
const modules = document.querySelector("#modules");
const links = [...modules.content.children];

async function preload() {
  for (let link = links.shift(); link; link = links.shift()) {
    await new Promise((settled) => {
      link.onload = settled;
      link.onerror = settled; // The import below tries again, and reports what is missing.
      document.head.append(link);
    });
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, preload));
await import(`./${modules.dataset.app}`);
